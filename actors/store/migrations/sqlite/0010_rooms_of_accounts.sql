-- In which rooms an account is something: what a removed account was there goes with it.
CREATE INDEX room_affiliate_jid ON room_affiliate (jid);
CREATE INDEX room_hat_worn_jid ON room_hat_worn (jid);
