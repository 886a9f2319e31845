//! The contract of `wit/naming.wit` as a component writes it.
//!
//! By hand, and not by the tool that the shipped policies are built with: a
//! hostile author has other tools too.

/// Export and definition of what every policy's core module has. What the host
/// says is written from 4 KiB on, and takes less than 12 KiB.
pub(super) const DEFAULTS: [(&str, &str); 4] = [
    ("memory", "(memory (export \"memory\") 1)"),
    (
        "realloc",
        "(global $next (mut i32) (i32.const 4096))
         (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)
           (local $at i32)
           (local.set $at
             (i32.and
               (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
               (i32.sub (i32.const 0) (local.get 2))))
           (global.set $next (i32.add (local.get $at) (local.get 3)))
           (local.get $at))",
    ),
    // Twelve bytes of zero: the first case of a result.
    (
        "configure",
        "(func (export \"configure\") (param i32 i32) (result i32) (i32.const 0))",
    ),
    // The path `good` and no selector.
    (
        "derive",
        "(data (i32.const 16) \"\\00\\00\\00\\00\\28\\00\\00\\00\\01\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\")
         (data (i32.const 40) \"\\30\\00\\00\\00\\04\\00\\00\\00good\")
         (func (export \"derive\") (param i32) (result i32) (i32.const 16))",
    ),
];

/// Types of the interface in the order of their definition; `$` stands before
/// each name of another.
const TYPES: [(&str, &str); 14] = [
    (
        "label",
        r#"(record (field "key" string) (field "value" string))"#,
    ),
    (
        "pod",
        r#"(record (field "name" string) (field "uid" (option string))
            (field "address" (option string)) (field "labels" (list $label)))"#,
    ),
    (
        "node",
        r#"(record (field "name" string) (field "uid" (option string))
            (field "address" (option string)) (field "labels" (list $label)))"#,
    ),
    (
        "service-account",
        r#"(record (field "cluster" string) (field "cluster-thumbprint" (option string))
            (field "namespace" string) (field "name" string) (field "uid" (option string))
            (field "pod" (option $pod)) (field "node" (option $node))
            (field "issuer" (option string)) (field "audiences" (list string))
            (field "token-id" (option string)) (field "token-sha256" string)
            (field "issued-at" (option u64)) (field "expires-at" (option u64)))"#,
    ),
    (
        "distinguished-name",
        r#"(record (field "common-name" (option string))
            (field "organizations" (list string)) (field "organizational-units" (list string)))"#,
    ),
    (
        "alternative-name",
        r#"(variant (case "dns" string) (case "uri" string) (case "ip" string) (case "email" string))"#,
    ),
    (
        "authority",
        r#"(record (field "sha1" string) (field "sha256" string))"#,
    ),
    ("key-kind", r#"(enum "rsa" "p256" "p384" "p521")"#),
    (
        "requester",
        r#"(record (field "username" string) (field "uid" (option string))
            (field "groups" (list string)) (field "pod" (option $pod)) (field "node" (option $node)))"#,
    ),
    (
        "certificate",
        r#"(record (field "cluster" (option string)) (field "subject" $distinguished-name)
            (field "serial" string) (field "sha1" string) (field "sha256" string)
            (field "alternative-names" (list $alternative-name))
            (field "authorities" (list $authority))
            (field "not-before" u64) (field "not-after" u64) (field "key" $key-kind)
            (field "node" (option $node)) (field "requester" (option $requester)))"#,
    ),
    (
        "subject",
        r#"(variant (case "service-account" $service-account) (case "certificate" $certificate))"#,
    ),
    (
        "facts",
        r#"(record (field "trust-domain" string) (field "attestor" string)
            (field "attested-at" u64) (field "attestation-id" string)
            (field "claimed-id" (option string)) (field "subject" $subject))"#,
    ),
    (
        "derivation",
        r#"(record (field "path" (list string)) (field "selectors" (list string)))"#,
    ),
    (
        "denial",
        r#"(record (field "code" string) (field "detail" string))"#,
    ),
];

/// Like [`TYPES`], but used by `configure` only.
const PROBLEM: (&str, &str) = (
    "problem",
    r#"(record (field "pointer" string) (field "message" string))"#,
);

const CONFIGURE: &str =
    r#"(func (param "settings" string) (result (result (error (list $problem)))))"#;

const DERIVE: &str =
    r#"(func (param "facts" $facts) (result (result $derivation (error $denial))))"#;

/// A component whose core instance `$guest` is made of the core module of that
/// name, unless `fields` make it themselves.
///
/// A function `cabi_post_derive` is used where the fields export one, and an
/// annotation `;utf16;` asks for that encoding of strings.
pub(super) fn component(fields: &str) -> String {
    let mut text = format!("(component {fields}\n");
    if !fields.contains("(core module $guest") {
        let defaults: String = DEFAULTS.map(|(_, definition)| definition).concat();
        text.push_str(&format!("(core module $guest {defaults})\n"));
    }
    if !fields.contains("(core instance $guest") {
        text.push_str("(core instance $guest (instantiate $guest))\n");
    }
    text.push_str(&types("", |name, definition| {
        format!("(type ${name} {definition})\n")
    }));
    let mut options =
        "(memory (core memory $guest \"memory\")) (realloc (core func $guest \"realloc\"))"
            .to_owned();
    if fields.contains("(;utf16;)") {
        options.push_str(" string-encoding=utf16");
    }
    let post = match fields.contains("(export \"cabi_post_derive\")") {
        true => "(post-return (core func $guest \"cabi_post_derive\"))",
        false => "",
    };
    text.push_str(&format!(
        "(type $configure-type {CONFIGURE}) (type $derive-type {DERIVE})
         (func $configure (type $configure-type)
           (canon lift (core func $guest \"configure\") {options}))
         (func $derive (type $derive-type)
           (canon lift (core func $guest \"derive\") {options} {post}))
         {}
         (instance $naming (instantiate $interface
           {}
           (with \"import-configure\" (func $configure))
           (with \"import-derive\" (func $derive))))
         (export \"nameplate:policy/naming@0.1.0\" (instance $naming)))",
        interface(),
        types("", |name, _| format!(
            "(with \"import-{name}\" (type ${name}))\n"
        )),
    ));
    text
}

/// The component that gives the functions the types of the exported interface.
fn interface() -> String {
    let imported = types("in-", |name, definition| {
        format!(
            "(type $raw-{name} {definition})
             (import \"import-{name}\" (type $in-{name} (eq $raw-{name})))\n"
        )
    });
    let exported = types("out-", |name, definition| {
        format!(
            "(type $own-{name} {definition})
             (export $out-{name} \"{name}\" (type $own-{name}))\n"
        )
    });
    let of = |prefix: &str, function: &str| function.replace('$', &format!("${prefix}"));
    format!(
        "(component $interface
           {imported}
           (type $in-configure {}) (type $in-derive {})
           (import \"import-configure\" (func $configure (type $in-configure)))
           (import \"import-derive\" (func $derive (type $in-derive)))
           {exported}
           (type $out-configure {}) (type $out-derive {})
           (export \"configure\" (func $configure) (func (type $out-configure)))
           (export \"derive\" (func $derive) (func (type $out-derive))))",
        of("in-", CONFIGURE),
        of("in-", DERIVE),
        of("out-", CONFIGURE),
        of("out-", DERIVE),
    )
}

/// Every type as `each` writes it, with `prefix` before the names it refers to.
fn types(prefix: &str, each: impl Fn(&str, &str) -> String) -> String {
    TYPES
        .iter()
        .chain([&PROBLEM])
        .map(|(name, definition)| each(name, &definition.replace('$', &format!("${prefix}"))))
        .collect()
}
