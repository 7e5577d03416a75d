//! What the table says about each operation, and the macros that make the constants of it.

/// One operation of the table.
#[derive(Debug)]
pub struct Operation {
    /// Code, never reused.
    pub code: u32,
    /// Name, that of the constant.
    pub name: &'static str,
    /// Revision of its meaning, from 1.
    pub revision: u32,
    /// Inputs in order.
    pub inputs: &'static [Input],
    /// Whether it takes one or more tensors like its one input.
    pub variadic: bool,
    /// Outputs in order.
    pub outputs: &'static [Output],
    /// Attributes.
    pub attributes: &'static [Use],
    /// What it computes.
    pub formula: &'static str,
    /// Gradients of its inputs.
    pub gradient: &'static str,
}

/// An input of an operation.
#[derive(Debug)]
pub struct Input {
    /// Name in the formula.
    pub name: &'static str,
    /// Element types.
    pub dtype: Dtype,
    /// Shape; empty for any.
    pub shape: &'static str,
}

/// Element types that an input can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dtype {
    /// F32 or F64, one of them for all such inputs.
    Float,
    /// F32, F64 or U32, one of them for all such inputs.
    Same,
    /// F32, F64 or U32.
    Any,
    /// U32.
    Index,
}

/// An output of an operation.
#[derive(Debug)]
pub struct Output {
    /// Name in the formula.
    pub name: &'static str,
    /// Shape; empty where the formula says it.
    pub shape: &'static str,
}

/// An attribute of an operation.
#[derive(Debug)]
pub struct Use {
    /// The key.
    pub key: Key,
    /// Value where it is not given; `None` where it must be.
    pub default: Option<i64>,
}

/// An attribute key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Code, never reused.
    pub code: u32,
    /// Name, that of the constant.
    pub name: &'static str,
    /// Kind of value.
    pub kind: AttributeKind,
    /// What it stands for.
    pub text: &'static str,
}

/// Kind of an attribute's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttributeKind {
    /// A finite number.
    Float,
    /// One integer.
    Int,
    /// A list of integers.
    Ints,
}

macro_rules! keys {
    ($($name:ident = $code:literal, $kind:ident, $text:literal;)*) => {
        $(
            #[doc = $text]
            pub const $name: u32 = $code;
        )*

        /// All keys.
        pub const ALL: &[Key] = &[$(Key {
            code: $code,
            name: stringify!($name),
            kind: AttributeKind::$kind,
            text: $text,
        }),*];

        /// The key of this code.
        pub const fn find(code: u32) -> Option<Key> {
            let mut i = 0;
            while i < ALL.len() {
                if ALL[i].code == code {
                    return Some(ALL[i]);
                }
                i += 1;
            }
            None
        }
    };
}

macro_rules! constants {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        $(
            #[doc = $text]
            pub const $name: u32 = $value;
        )*

        /// Name, value and meaning of the constants.
        pub const CONSTANTS: &[(&str, u32, &str)] = &[$((stringify!($name), $value, $text)),*];
    };
}

/// `NAME = code, revision, (inputs) -> (outputs), [attributes], formula, gradient;` An input is a name, a [`Dtype`] and a
/// shape, an output a name and a shape; an attribute with `or` may be left out.
macro_rules! operations {
    ($(
        $name:ident = $code:literal, $revision:literal,
        ($($input:ident $dtype:ident $($shape:literal)? $(, $more:ident)?);+) -> ($($output:ident $($result:literal)?),+),
        [$($key:ident $(or $default:literal)?),*],
        $formula:literal, $gradient:literal;
    )*) => {
        $(
            #[doc = $formula]
            #[doc = ""]
            #[doc = concat!("Inputs:" $(, " ", stringify!($input), " (", stringify!($dtype), $(" `", $shape, "`",)? $(", ", stringify!($more),)? ");")+)]
            #[doc = concat!("outputs:" $(, " ", stringify!($output) $(, " `", $result, "`")?, ";")+)]
            #[doc = concat!("attributes:" $(, " ", stringify!($key) $(, " (default ", $default, ")")?, ";")*, " gradient: ", $gradient)]
            pub const $name: u32 = $code;
        )*

        /// All codes of this interface version.
        pub const ALL: &[u32] = &[$($code),*];

        /// Name of an operation for messages; `None` for an unknown code.
        pub const fn name(code: u32) -> Option<&'static str> {
            match code {
                $($code => Some(stringify!($name)),)*
                _ => None,
            }
        }

        impl Operation {
            /// The operation of this code.
            pub fn find(code: u32) -> Option<&'static Operation> {
                match code {
                    $($code => {
                        static OPERATION: Operation = Operation {
                            code: $code,
                            name: stringify!($name),
                            revision: $revision,
                            inputs: &[$(Input {
                                name: stringify!($input),
                                dtype: Dtype::$dtype,
                                shape: concat!($($shape)?),
                            }),+],
                            variadic: false $($(|| is_more(stringify!($more)))?)+,
                            outputs: &[$(Output {
                                name: stringify!($output),
                                shape: concat!($($result)?),
                            }),+],
                            attributes: &[$(Use {
                                key: known(super::key::$key),
                                default: default(&[$($default)?]),
                            }),*],
                            formula: $formula,
                            gradient: $gradient,
                        };
                        Some(&OPERATION)
                    })*
                    _ => None,
                }
            }
        }
    };
}
