//! Rules of [`super`], with the examples of the specification.
