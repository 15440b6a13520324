//! Tests.

mod measure;
