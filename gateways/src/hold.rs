//! A connection's hold on its session, which lets go however the connection ends.

use klatsch_actors::session::Detach;
use klatsch_actors::sessions::SessionHandle;

/// Detaches when it is dropped: also when the reader panics, or when a client gives up while
/// it is being bound.
pub(crate) struct Hold {
    session: SessionHandle,
    how: Detach,
}

impl Hold {
    pub(crate) fn new(session: SessionHandle) -> Self {
        Self {
            session,
            how: Detach::Lost,
        }
    }

    pub(crate) fn session(&self) -> &SessionHandle {
        &self.session
    }

    /// Lets go and says how the connection ended.
    pub(crate) fn release(mut self, how: Detach) {
        self.how = how;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.session.detach(self.how);
    }
}
