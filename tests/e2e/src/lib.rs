//! End-to-end tests: the real binary on real parts. They stand in `tests/`, one file for each kind of promise; what they stand on is
//! the crate `rocketbridge-harness`.
