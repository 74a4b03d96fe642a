// Imported first, before harness.mjs: the suite's server is reached over TLS alone, with a certificate
// of its own making. Only there does it give tokens (XEP-0388 §3, XEP-0484); without, suites have the
// login of RFC 6120.

import process from "node:process";

process.env.KLATSCH_WEB_SCHEME = "https";
