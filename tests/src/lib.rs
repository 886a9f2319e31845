//! Hostile guests, golden cases and end-to-end runs.
