//! The sqlite sink against real files.
//!
//! `delivery` what is written and read back · `sharing` other processes and readers · `recovery` damage,
//! foreign files, crashes · `maintenance` what becomes of rows as they age · `reading` the library, while
//! all that happens, and files of the original · `statistics` summaries

#![cfg(test)]

mod delivery;
mod maintenance;
mod reading;
mod recovery;
mod sharing;
mod statistics;
mod support;
