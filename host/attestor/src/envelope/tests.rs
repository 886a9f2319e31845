//! Rules of the envelope.
