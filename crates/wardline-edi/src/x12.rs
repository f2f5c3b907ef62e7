//! X12 interchanges: envelopes, sets, segments, acknowledgements.
