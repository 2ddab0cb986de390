//! A typed client of latentd.
