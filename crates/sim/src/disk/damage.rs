//! Damage to what was synced: flipped bits and misdirected writes.
//!
//! Both change the platter at once, under open handles too, and nothing but a checksum can tell.
//!
//! Invariant: lengths stay as they are for the process: a misdirected append leaves zeroes where it was meant to go.

use super::inode::SECTOR_BYTES;
use super::names::FileNumber;
use super::state::State;

/// Places tried before damage is given up: on a disk with anything synced, one of them is.
const ATTEMPTS: usize = 32;

/// Misdirected writes of 1 000 that land where another write began: a well-formed block in a wrong place.
const EARLIER_PLACE_PER_MILLE: u32 = 600;

/// Damages of 1 000 for which every file is equally likely.
const ANY_FILE_PER_MILLE: u32 = 500;

impl State {
    /// Flips up to `bits` bits of synced sectors; returns where.
    pub(super) fn rot(&mut self, bits: u32) -> Vec<String> {
        (0..bits).filter_map(|_| self.flip_one()).collect()
    }

    /// Puts `bytes`, meant for `offset` of `file`, elsewhere; false if the disk has no other place.
    pub(super) fn misdirect(&mut self, file: FileNumber, offset: u64, bytes: &[u8]) -> bool {
        let Some((victim, place)) = self.wrong_place(file, offset) else {
            return false;
        };
        if let Some(inode) = self.volume.file_mut(file)
            && inode.len() < offset + bytes.len() as u64
        {
            inode.set_len(offset + bytes.len() as u64);
        }
        if let Some(inode) = self.volume.file_mut(victim) {
            inode.damage(place, bytes);
        }
        self.misdirect_armed = false;
        self.ledger.count("misdirected write");
        true
    }

    /// Where another write began, or the start of any sector; never the intended place.
    fn wrong_place(&mut self, file: FileNumber, offset: u64) -> Option<(FileNumber, u64)> {
        if self.prng.per_mille(EARLIER_PLACE_PER_MILLE) {
            let known = |(at, _): &&(FileNumber, u64)| self.volume.files.contains_key(at);
            let places: Vec<_> = self.places.iter().filter(known).copied().collect();
            let other = self.prng.pick(&places).copied();
            if let Some(place) = other.filter(|place| *place != (file, offset)) {
                return Some(place);
            }
        }
        let intended = (file, offset / SECTOR_BYTES);
        for _ in 0..ATTEMPTS {
            let (victim, sector) = self.any_sector()?;
            if (victim, sector) != intended {
                return Some((victim, sector * SECTOR_BYTES));
            }
        }
        None
    }

    fn flip_one(&mut self) -> Option<String> {
        for _ in 0..ATTEMPTS {
            let (file, sector) = self.any_sector()?;
            let inode = self.volume.files.get(&file)?;
            if !inode.is_synced(sector) {
                continue;
            }
            let room = SECTOR_BYTES.min(inode.len() - sector * SECTOR_BYTES);
            let (offset, bit) = (sector * SECTOR_BYTES + self.prng.below(room), self.prng.below(8));
            let mut byte = [0];
            let inode = self.volume.file_mut(file)?;
            inode.read(offset, &mut byte);
            inode.damage(offset, &byte.map(|byte| byte ^ (1 << bit)));
            self.ledger.count("bit flip");
            let name = self.volume.names.name_of(file);
            return Some(format!("bit {bit} of byte {offset} of {name}"));
        }
        None
    }

    /// A sector of a named file: half of the time each file is as likely as its length, half of the time all are equally
    /// likely, because the metadata's file would get nearly all of the damage.
    fn any_sector(&mut self) -> Option<(FileNumber, u64)> {
        let named = self.volume.names.cached().values();
        let sectors: Vec<(FileNumber, u64)> = named
            .map(|file| (*file, self.length(*file).div_ceil(SECTOR_BYTES)))
            .filter(|(_, sectors)| *sectors > 0)
            .collect();
        if self.prng.per_mille(ANY_FILE_PER_MILLE) {
            let (file, count) = self.prng.pick(&sectors).copied()?;
            return Some((file, self.prng.below(count)));
        }
        let total: u64 = sectors.iter().map(|(_, count)| count).sum();
        let mut drawn = self.prng.below(total);
        for (file, count) in sectors {
            if drawn < count {
                return Some((file, drawn));
            }
            drawn -= count;
        }
        None
    }
}
