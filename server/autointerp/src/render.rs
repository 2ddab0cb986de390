//! Examples as text: marked tokens, and activations on a scale of 0 to 10.
