//! Lives that failed once.
