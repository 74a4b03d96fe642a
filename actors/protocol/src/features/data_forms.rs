//! Data Forms: XEP-0004 version 2.13.1,
//! <https://xmpp.org/extensions/xep-0004.html>
//!
//! Reads submitted forms and builds fields of forms that are offered.

use super::{Feature, Spec};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "jabber:x:data";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "data_forms",
    title: "Data Forms",
    spec: Spec::Xep {
        number: 4,
        version: "2.13.1",
    },
    disco: &[NS],
    ..Feature::NONE
};

/// A form somebody has filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    fields: Vec<(String, Vec<String>)>,
}

impl Submitted {
    /// Reads a submitted form; `None` when the element is another kind of form or none.
    pub fn read(form: &Element) -> Option<Self> {
        if !form.is("x", NS) || form.get("type") != Some("submit") {
            return None;
        }
        let fields = form
            .children()
            .filter(|field| field.is("field", NS))
            .filter_map(|field| {
                let values = field.children().filter(|value| value.is("value", NS));
                let values = values.map(Element::text_content).collect();
                Some((field.get("var")?.to_owned(), values))
            });
        Some(Self {
            fields: fields.collect(),
        })
    }

    /// The form's purpose (XEP-0068).
    pub fn form_type(&self) -> Option<&str> {
        self.value("FORM_TYPE")
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// A field's first value; an empty one counts as not given.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name)
            .iter()
            .map(String::as_str)
            .find(|value| !value.is_empty())
    }

    /// All values of a field.
    pub fn values(&self, name: &str) -> &[String] {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map_or(&[], |(_, values)| values)
    }
}

/// A form that is offered, with its purpose (XEP-0068).
pub fn form(form_type: &str) -> Element {
    let purpose = field("FORM_TYPE", "hidden").child(Element::new("value", NS).text(form_type));
    Element::new("x", NS).attr("type", "form").child(purpose)
}

/// A field of a form that is offered (§3.3).
pub fn field(name: &str, kind: &str) -> Element {
    Element::new("field", NS)
        .attr("var", name)
        .attr("type", kind)
}
