//! What is left of a history when the program that writes it is killed, or the power is cut.
//!
//! `frames` what is written · `writer` the process that writes it · `contents` what a file has to hold then ·
//! `kill` SIGKILL at random moments · `power_cut` what was not synced is lost · `tracer` the calls by
//! which a process writes its files · `random` when

#![cfg(test)]

mod contents;
mod frames;
mod kill;
mod power_cut;
mod random;
mod tracer;
mod writer;
