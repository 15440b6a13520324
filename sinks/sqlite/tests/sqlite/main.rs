//! The sqlite sink against real files.
//!
//! `delivery` what is written and read back · `sharing` other processes and readers · `recovery` damage,
//! foreign files, crashes · `maintenance` what goes, and how much at once · `reading` the
//! library, while all that happens · `statistics` summaries · `import` databases of the original

#![cfg(test)]

mod delivery;
mod import;
mod maintenance;
mod original;
mod other_programs;
mod reading;
mod recovery;
mod sharing;
mod statistics;
mod support;
