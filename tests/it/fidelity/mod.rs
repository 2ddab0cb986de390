//! The real models and the real SAE against transformers, sentence-transformers and SAELens, through the whole server.
//!
//! The small models and SAEs are compared in `server/nn/tests`; the tolerance is the same, and stated in
//! `tests/golden/README.md`: a difference of at most 1e-4 of the largest value.

mod embeddings;
mod encoded;
mod generation;
mod residuals;
mod tokens;

use latentd_nn::golden::TOLERANCE;
