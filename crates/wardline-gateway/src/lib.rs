//! The front door: everything another application asks comes through here.
