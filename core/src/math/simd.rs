//! Loops over lanes, compiled for several instruction sets; which one runs is decided at run time.
//!
//! A kernel is a plain loop over slices or fixed-size arrays around branch-free arithmetic ([`super::Real`]), which the
//! compiler vectorises; what it calls is `#[inline(always)]`. [`vectorised!`] compiles it for each [`Isa`].

use std::sync::OnceLock;

/// Instruction sets with a path of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    const ALL: &[Isa] = &[
        Isa::Baseline,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512,
    ];

    /// Those that this machine can run, the fastest last.
    #[cfg(test)]
    pub fn available() -> Vec<Isa> {
        Self::ALL
            .iter()
            .copied()
            .filter(|isa| isa.is_available())
            .collect()
    }

    /// The fastest that this machine can run.
    #[inline]
    pub fn best() -> Isa {
        // Some kernels are called for every few numbers: the answer is kept.
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let mut fastest_first = Self::ALL.iter().rev();
            let best = fastest_first.find(|isa| isa.is_available());
            best.copied().unwrap_or(Isa::Baseline)
        })
    }

    pub fn is_available(self) -> bool {
        match self {
            Isa::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "AVX-512",
        }
    }
}

/// Compiles a function for each instruction set. It runs that of [`Isa::best`], or with `fn name[isa]` that of a further
/// first argument `isa: Isa`.
///
/// Type parameters have one bound each, arguments are names, not patterns. In the body `FMA` says whether the target has
/// fused multiply-add; without it `mul_add` would be a library call.
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $([$isa:ident])? $(<$($generic:ident: $bound:path),+>)?
        ($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name $(<$($generic: $bound),+>)? ($($isa: $crate::math::simd::Isa,)? $($argument: $type),*) $(-> $output)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")]
            fn avx512 $(<$($generic: $bound),+>)? ($($argument: $type),*) $(-> $output)? {
                #[allow(dead_code, reason = "not every kernel asks")]
                const FMA: bool = true;
                $body
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<$($generic: $bound),+>)? ($($argument: $type),*) $(-> $output)? {
                #[allow(dead_code, reason = "not every kernel asks")]
                const FMA: bool = true;
                $body
            }

            fn baseline $(<$($generic: $bound),+>)? ($($argument: $type),*) $(-> $output)? {
                // NEON has fused multiply-add from the start, x86-64 has not.
                #[allow(dead_code, reason = "not every kernel asks")]
                const FMA: bool = cfg!(target_feature = "fma") || cfg!(target_arch = "aarch64");
                $body
            }

            match $crate::math::simd::vectorised!(@isa $($isa)?) {
                $crate::math::simd::Isa::Baseline => baseline($($argument),*),
                #[cfg(target_arch = "x86_64")]
                isa => {
                    debug_assert!(isa.is_available());
                    match isa {
                        // SAFETY: values of `Isa` other than `Baseline` come from `Isa::best`, or in tests `Isa::available`,
                        // which checked every feature that the function called enables.
                        $crate::math::simd::Isa::Avx2 => unsafe { avx2($($argument),*) },
                        // SAFETY: as above.
                        _ => unsafe { avx512($($argument),*) },
                    }
                }
            }
        }
    };
    (@isa) => { $crate::math::simd::Isa::best() };
    (@isa $isa:ident) => { $isa };
}
pub(crate) use vectorised;

#[cfg(test)]
mod tests {
    use super::*;

    vectorised! {
        fn sum[isa](values: &[f32]) -> f32 {
            let start = if FMA { -0.0 } else { 0.0 };
            values.iter().fold(start, |sum, value| sum + value)
        }
    }

    #[test]
    fn every_instruction_set_that_is_there_runs() {
        assert_eq!(Isa::available().last(), Some(&Isa::best()));
        for isa in Isa::available() {
            assert_eq!(sum(isa, &[1.0, 2.0, 3.5]), 6.5, "{}", isa.name());
        }
    }
}
