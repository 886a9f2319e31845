//! The library to embed: evidence in, SPIFFE identity out.
