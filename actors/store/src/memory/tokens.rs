//! Tokens in memory.

use klatsch_protocol::jid::BareJid;

use super::Memory;
use crate::error::{Result, StoreError};
use crate::tokens::{AGENTS_MAX, Token, Tokens};

impl Tokens for Memory {
    async fn tokens(&self, account: &BareJid, agent: &str) -> Result<Vec<Token>> {
        let found = self.read(account, |life| match life.account.disabled {
            true => Vec::new(),
            false => of(&life.tokens, agent).cloned().collect(),
        });
        let mut found: Vec<Token> = found.unwrap_or_default();
        found.sort_by_key(|token| !token.is_new);
        Ok(found)
    }

    async fn give_token(&self, account: &BareJid, agent: &str, token: &Token) -> Result<()> {
        self.change(account, |life| {
            let tokens = &mut life.tokens;
            tokens.retain(|(whose, known)| whose != agent || !known.is_new);
            let token = Token {
                is_new: true,
                ..token.clone()
            };
            tokens.push((agent.to_owned(), token));
            drop_oldest(tokens);
            Ok(())
        })
    }

    async fn use_token(
        &self,
        account: &BareJid,
        agent: &str,
        seed: &[u8],
        count: Option<u32>,
    ) -> Result<()> {
        self.change(account, |life| {
            let tokens = &mut life.tokens;
            let used = tokens
                .iter_mut()
                .find(|(whose, token)| whose == agent && token.seed == seed)
                .map(|(_, token)| token)
                .filter(|token| count.is_none_or(|count| token.count < count))
                .ok_or(StoreError::Conflict)?;
            used.count = used.count.max(count.unwrap_or(0));
            if std::mem::take(&mut used.is_new) {
                tokens.retain(|(whose, token)| whose != agent || token.seed == seed);
            }
            Ok(())
        })
    }

    async fn forget_tokens(&self, account: &BareJid, agent: Option<&str>) -> Result<()> {
        self.change(account, |life| {
            life.tokens
                .retain(|(whose, _)| agent.is_some_and(|agent| whose != agent));
            Ok(())
        })
    }
}

fn of<'a>(tokens: &'a [(String, Token)], agent: &'a str) -> impl Iterator<Item = &'a Token> {
    let of_agent = move |(whose, token): &'a (String, Token)| (whose == agent).then_some(token);
    tokens.iter().filter_map(of_agent)
}

fn drop_oldest(tokens: &mut Vec<(String, Token)>) {
    let mut agents: Vec<String> = tokens.iter().map(|(agent, _)| agent.clone()).collect();
    agents.sort();
    agents.dedup();
    if agents.len() <= AGENTS_MAX {
        return;
    }
    let newest = |agent: &String| of(tokens, agent).map(|token| token.issued).max();
    if let Some(oldest) = agents.iter().min_by_key(|agent| newest(agent)).cloned() {
        tokens.retain(|(agent, _)| *agent != oldest);
    }
}
