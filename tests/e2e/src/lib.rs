//! End-to-end tests: the real binary on real parts. They are in `tests/`, one file for each kind of promise; the crate
//! `rocketbridge-harness` starts what they need.
