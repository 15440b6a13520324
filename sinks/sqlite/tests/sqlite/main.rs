//! The sqlite sink against real files.
//!
//! `delivery` what is written and read back · `sharing` other processes and readers · `recovery` damage,
//! foreign files, crashes · `retention` what goes, and how much at
//! once · `import` databases of the original · `statistics` summaries

#![cfg(test)]

mod delivery;
mod import;
mod maintenance;
mod reading;
mod recovery;
mod sharing;
mod statistics;
mod support;
