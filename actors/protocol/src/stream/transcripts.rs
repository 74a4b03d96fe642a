//! Whole negotiations, byte for byte, and the rows of the attack corpus that need one.

mod attacks;
mod logins;
mod oauthbearer;
mod registration;
mod sasl2;
mod upgrade;
