//! Tests.

mod config;
mod vectors_config;
