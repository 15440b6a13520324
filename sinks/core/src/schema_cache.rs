//! What a sink remembers of the schemas whose frames it gets, in bounded memory.

use std::sync::Arc;

use crate::Schema;

/// What a writer knows of each schema: ids at the destination, texts that are made once.
///
/// It finds a schema by its address, and keeps it so that no other can have that address. It holds at
/// most [`CAPACITY`](Self::CAPACITY) schemas; a further one takes the place of that which was not used for
/// the longest time, so whatever is remembered must be possible to find out again.
///
/// ```
/// # use wanctl_sink::{Schema, SchemaCache};
/// # let schema = Schema::new(Vec::new()).unwrap();
/// let mut names: SchemaCache<Vec<String>> = SchemaCache::default();
/// let known = names.get_or_insert_with(&schema, || {
///     schema.series().iter().map(|series| series.metric().name.to_uppercase()).collect()
/// });
/// assert_eq!(known.len(), schema.series().len());
/// ```
#[derive(Debug)]
pub struct SchemaCache<T> {
    /// Least recently used first.
    known: Vec<(Arc<Schema>, T)>,
}

impl<T> SchemaCache<T> {
    /// How many schemas are remembered. Each emitter has a few and keeps them for as long as it runs.
    pub const CAPACITY: usize = 64;

    /// What is known of this schema; if that is nothing, what `find_out` returns.
    pub fn get_or_insert_with(
        &mut self,
        schema: &Arc<Schema>,
        find_out: impl FnOnce() -> T,
    ) -> &mut T {
        let is_it = |(known, _): &(Arc<Schema>, T)| Arc::ptr_eq(known, schema);
        // Most rows are of the same frame as the row before, and found at once.
        match self.known.iter().rposition(is_it) {
            Some(position) => self.known[position..].rotate_left(1),
            None => {
                if self.known.len() >= Self::CAPACITY {
                    self.known.remove(0);
                }
                self.known.push((Arc::clone(schema), find_out()));
            }
        }
        let newest = self.known.len() - 1;
        &mut self.known[newest].1
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// How many schemas are remembered, at most [`CAPACITY`](Self::CAPACITY).
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

impl<T> Default for SchemaCache<T> {
    fn default() -> Self {
        SchemaCache { known: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = SchemaCache::<usize>::CAPACITY;

    fn schemas(count: usize) -> Vec<Arc<Schema>> {
        (0..count).map(|_| Schema::new(Vec::new()).unwrap()).collect()
    }

    #[test]
    fn what_is_known_is_not_found_out_again() {
        let mut cache = SchemaCache::default();
        let schemas = schemas(CAPACITY);
        for (index, schema) in schemas.iter().enumerate() {
            assert_eq!(*cache.get_or_insert_with(schema, || index), index);
        }
        *cache.get_or_insert_with(&schemas[3], || unreachable!()) = 1000;
        for (index, schema) in schemas.iter().enumerate().rev() {
            let expected = if index == 3 { 1000 } else { index };
            assert_eq!(*cache.get_or_insert_with(schema, || unreachable!()), expected);
        }
    }

    #[test]
    fn equal_schemas_are_told_apart() {
        let mut cache = SchemaCache::default();
        let schemas = schemas(2);
        assert_eq!(*cache.get_or_insert_with(&schemas[0], || 0), 0);
        assert_eq!(*cache.get_or_insert_with(&schemas[1], || 1), 1);
    }

    #[test]
    fn a_further_one_takes_the_place_of_the_least_recently_used() {
        let mut cache = SchemaCache::default();
        let schemas = schemas(CAPACITY + 1);
        for schema in &schemas[..CAPACITY] {
            cache.get_or_insert_with(schema, || 1);
        }
        cache.get_or_insert_with(&schemas[0], || unreachable!());
        cache.get_or_insert_with(&schemas[CAPACITY], || 1);
        assert_eq!(cache.len(), CAPACITY);
        assert_eq!(*cache.get_or_insert_with(&schemas[0], || 2), 1);
        assert_eq!(*cache.get_or_insert_with(&schemas[1], || 2), 2);
    }

    #[test]
    fn two_caches_do_not_keep_schemas_for_each_other() {
        let (mut one, mut other) = (SchemaCache::default(), SchemaCache::default());
        let first = Schema::new(Vec::new()).unwrap();
        for schema in [Arc::clone(&first)].into_iter().chain(schemas(1000)) {
            one.get_or_insert_with(&schema, || ());
            other.get_or_insert_with(&schema, || ());
        }
        assert_eq!((one.len(), other.len()), (CAPACITY, CAPACITY));
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn after_clear_nothing_is_known() {
        let mut cache = SchemaCache::default();
        let schema = Schema::new(Vec::new()).unwrap();
        cache.get_or_insert_with(&schema, || 1);
        cache.clear();
        assert!(cache.is_empty());
        assert_eq!(*cache.get_or_insert_with(&schema, || 2), 2);
    }
}
