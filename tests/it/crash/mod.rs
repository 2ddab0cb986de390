//! `kill -9` in the midst of work.

mod cache_build;
mod interpretation;
mod zombie;
