//! The table behind the mutants, and the macro that keeps type and table together.
//!
//! `mutants!` makes the enum, the list of all and a row of facts out of one entry per mutant, so that none can lack one.

/// Which half of the harness can see a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finder {
    /// A simulated cluster, by what clients see or by what lies on the disks afterwards.
    Cluster,
    /// A simulated cluster with damaged blocks or failing disks, or the crash enumerator of a single store.
    Disk,
    /// The crash enumerator or the model test of a single store only: no cluster of a sensible size gets there.
    Enumerator,
    /// The own tests of its module or crate only. What a damaged disk loses is excused in a cluster, where nobody can tell which
    /// damage should have been noticed; some circumstances no drawn plan and no numbered workload comes to.
    OwnTests,
}

/// One row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) breaks: &'static str,
    pub(crate) finder: Finder,
    pub(crate) describe: &'static str,
}

/// `Variant = "name", "source", "breaks", Finder, "description";` per mutant, with its documentation above.
macro_rules! mutants {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $name:literal, $source:literal, $breaks:literal, $finder:ident, $describe:literal;
    )*) => {
        /// The mutants, from the protocol down to the disk.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Mutant {
            $( $(#[$doc])* $variant, )*
        }

        impl Mutant {
            /// Every mutant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )*];

            /// Its place in [`Mutant::ALL`].
            pub(crate) const fn position(self) -> usize {
                self as usize
            }

            pub(crate) fn row(self) -> &'static Row {
                const ROWS: &[Row] = &[$(
                    Row {
                        name: $name,
                        source: $source,
                        breaks: $breaks,
                        finder: Finder::$finder,
                        describe: $describe,
                    },
                )*];
                ROWS.get(self.position()).expect("the macro makes a row per variant")
            }
        }
    };
}

pub(crate) use mutants;
