// Trusted Types for the one parser there is: https://w3c.github.io/trusted-types/
//
// The page's policy forbids to make HTML of text. The XMPP library reads frames with `DOMParser`,
// which counts as such, although XML that is never put into the page runs nothing. So it gets a
// parser that reads XML and refuses everything else, under a policy of its own.

/** The policy's name, which the server's `trusted-types` directive lists. */
export const POLICY = "klatsch-xml";

interface Policy {
  createHTML(text: string): string;
}

interface PolicyFactory {
  createPolicy(name: string, rules: Policy): Policy;
}

/** Puts the parser in the place of the browser's; once per page. */
export function restrictParser(scope: { trustedTypes?: PolicyFactory; DOMParser: typeof DOMParser }): void {
  const { trustedTypes } = scope;
  if (trustedTypes === undefined || scope.DOMParser.name === "XmlParser") return;
  const policy = trustedTypes.createPolicy(POLICY, { createHTML: (text) => text });
  const Original = scope.DOMParser;
  scope.DOMParser = class XmlParser extends Original {
    override parseFromString(text: string, type: DOMParserSupportedType): Document {
      if (type !== "text/xml" && type !== "application/xml") throw new TypeError("only XML is parsed");
      return super.parseFromString(policy.createHTML(text), type);
    }
  };
}
