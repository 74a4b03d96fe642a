//! Has the crate built anew when a file of the client comes or goes. Files that are there are
//! looked at by the compiler itself; nothing is made here, and nothing of Node is run.

fn main() {
    println!("cargo:rerun-if-changed=../web/dist");
}
