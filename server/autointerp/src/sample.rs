//! Which examples are shown to whom: train and test share no window.
