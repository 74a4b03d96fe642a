//! The binary klatsch: configuration, command line, boot, metrics and health.
