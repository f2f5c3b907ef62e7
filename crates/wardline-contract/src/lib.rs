//! Contracts: what an Api promises, as OpenAPI 3.1 and JSON Schema.
//!
//! Used by `check` before anything runs and by the gateway while it runs, so it lies below both.
