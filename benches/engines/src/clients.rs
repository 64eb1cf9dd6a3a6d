//! The clients of the phases: who writes and reads what.
//!
//! A [`Population`] says how many records there are and how long their values are; a client draws from it with a
//! generator of its own.
//!
//! Invariant: every value that an engine returns is checked, and every record that was filled must be found.

use crate::Outcome;
use crate::drive::{Client, Meter};
use crate::engine::{Engine, Writes};
use crate::random::Random;
use crate::records::{KEY_BYTES, ValueWriter, absent_key, index_of, key};
use crate::zipf::Zipf;

/// The records of a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Population {
    /// How many.
    pub(crate) records: u64,
    /// Bytes of every value.
    pub(crate) value_bytes: usize,
}

/// How a client chooses a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice<'a> {
    /// Any record.
    Uniform,
    /// A popular record.
    Zipf(&'a Zipf),
    /// A key that no record has.
    Absent,
}

/// Writes every record once: operation `n` writes record `n`.
pub(crate) struct Filler<'a> {
    target: &'a dyn Writes,
    values: ValueWriter,
}

impl<'a> Filler<'a> {
    /// A writer into `target`.
    pub(crate) fn new(target: &'a dyn Writes, value_bytes: usize, seed: u64) -> Filler<'a> {
        Filler { target, values: ValueWriter::new(value_bytes, seed) }
    }
}

impl Client for Filler<'_> {
    fn step(&mut self, number: u64, meter: &mut Meter) -> Outcome<()> {
        let key = key(number);
        let value = self.values.write(number, 0);
        meter.wrote(key.len() + value.len());
        meter.time(|| self.target.put(&key, value))
    }
}

/// Reads, and checks what it gets.
pub(crate) struct Reader<'a> {
    engine: &'a dyn Engine,
    population: Population,
    choice: Choice<'a>,
    random: Random,
}

impl<'a> Reader<'a> {
    /// A reader of `population`.
    pub(crate) fn new(
        engine: &'a dyn Engine,
        population: Population,
        choice: Choice<'a>,
        seed: u64,
    ) -> Reader<'a> {
        Reader { engine, population, choice, random: Random::new(seed) }
    }

    fn draw(&mut self) -> u64 {
        match self.choice {
            Choice::Uniform | Choice::Absent => self.random.below(self.population.records),
            Choice::Zipf(zipf) => zipf.record(&mut self.random),
        }
    }

    fn read(&self, index: u64, key: [u8; KEY_BYTES], meter: &mut Meter) -> Outcome<Found> {
        let mut found = Found::Nothing;
        meter.time(|| {
            self.engine.get(&key, &mut |value| {
                let sound = index_of(value, self.population.value_bytes) == Some(index);
                found = if sound { Found::Record } else { Found::Damaged };
            })
        })?;
        Ok(found)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Record,
    Damaged,
}

impl Client for Reader<'_> {
    fn step(&mut self, _number: u64, meter: &mut Meter) -> Outcome<()> {
        let index = self.draw();
        let (key, expected) = match self.choice {
            Choice::Uniform | Choice::Zipf(_) => (key(index), Found::Record),
            Choice::Absent => (absent_key(index), Found::Nothing),
        };
        let found = self.read(index, key, meter)?;
        if found != expected {
            return Err(format!("record {index}: {found:?} instead of {expected:?}").into());
        }
        Ok(())
    }
}

/// Reads and updates in turn, by the toss of a coin.
pub(crate) struct Mixer<'a> {
    reader: Reader<'a>,
    values: ValueWriter,
}

impl<'a> Mixer<'a> {
    /// A client that updates what `reader` chooses.
    pub(crate) fn new(reader: Reader<'a>, seed: u64) -> Mixer<'a> {
        let values = ValueWriter::new(reader.population.value_bytes, seed);
        Mixer { reader, values }
    }
}

impl Client for Mixer<'_> {
    fn step(&mut self, number: u64, meter: &mut Meter) -> Outcome<()> {
        if self.reader.random.bits() & 1 == 0 {
            return self.reader.step(number, meter);
        }
        let index = self.reader.draw();
        let key = key(index);
        let value = self.values.write(index, number + 1);
        meter.wrote(key.len() + value.len());
        meter.time(|| self.reader.engine.put(&key, value))
    }
}

/// Reads all pairs and checks each; returns how many there are.
pub(crate) fn scan_pairs(engine: &dyn Engine, population: Population) -> Outcome<u64> {
    let (mut sound, mut damaged) = (0, 0);
    engine.scan_pairs(&mut |found, value| match index_of(value, population.value_bytes)
        .is_some_and(|index| key(index) == found)
    {
        true => sound += 1,
        false => damaged += 1,
    })?;
    expect_all(population, sound, damaged)
}

/// Reads all keys with their digests; returns how many there are.
pub(crate) fn scan_digests(engine: &dyn Engine, population: Population) -> Outcome<u64> {
    let (mut seen, mut joined) = (0, 0);
    engine.scan_digests(&mut |_, digest| {
        seen += 1;
        joined ^= digest;
    })?;
    std::hint::black_box(joined);
    expect_all(population, seen, 0)
}

fn expect_all(population: Population, sound: u64, damaged: u64) -> Outcome<u64> {
    if damaged > 0 || sound != population.records {
        let records = population.records;
        return Err(format!("{sound} sound, {damaged} damaged of {records} records").into());
    }
    Ok(sound)
}
