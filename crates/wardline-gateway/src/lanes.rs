//! How many calls are in hand at once, so that bulk cannot take what realtime needs.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wardline_core::Lane;

use crate::plan::Capacity;
use crate::problem::{Kind, Problem};

/// A call's place, given back when it is dropped.
pub(crate) type Place = SmallVec<[OwnedSemaphorePermit; 3]>;

#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) capacity: Capacity,
    /// Everything, then what is not realtime, then bulk.
    rooms: [Arc<Semaphore>; 3],
}

impl Lanes {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let total = capacity.total.max(1);
        // At least one place stays that only realtime may take, where there are two.
        let normal = capacity.normal.clamp(1, (total - 1).max(1));
        let bulk = capacity.bulk.clamp(1, normal);
        let room = |places| Arc::new(Semaphore::new(places));
        Self {
            capacity,
            rooms: [room(total), room(normal), room(bulk)],
        }
    }

    /// A place in the lane. Who waits holds no place of a lane above its own, since the narrowest
    /// room is entered first.
    pub(crate) async fn enter(&self, lane: Lane) -> Result<Place, Problem> {
        let rooms = match lane {
            Lane::Realtime => &self.rooms[..1],
            Lane::Normal => &self.rooms[..2],
            Lane::Bulk => &self.rooms[..],
        };
        let mut place = Place::new();
        for room in rooms.iter().rev() {
            let free = Arc::clone(room).try_acquire_owned();
            let permit = match free {
                Ok(permit) => permit,
                Err(_) => self.wait(room).await?,
            };
            place.push(permit);
        }
        Ok(place)
    }

    async fn wait(&self, room: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
        let waited = timeout(self.capacity.wait, Arc::clone(room).acquire_owned()).await;
        waited
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| Problem::new(Kind::Busy).retry_after(Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_lanes_leave_room_for_realtime() {
        let capacity = Capacity {
            total: 4,
            normal: 3,
            bulk: 2,
            wait: Duration::ZERO,
        };
        let lanes = Lanes::new(capacity);
        let bulk = [
            lanes.enter(Lane::Bulk).await.unwrap(),
            lanes.enter(Lane::Bulk).await.unwrap(),
        ];
        assert_eq!(
            lanes.enter(Lane::Bulk).await.unwrap_err().kind(),
            Kind::Busy
        );
        let normal = lanes.enter(Lane::Normal).await.unwrap();
        assert!(lanes.enter(Lane::Normal).await.is_err());
        let realtime = lanes.enter(Lane::Realtime).await.unwrap();
        assert!(lanes.enter(Lane::Realtime).await.is_err());
        drop((bulk, normal, realtime));
        let all = [Lane::Bulk, Lane::Bulk, Lane::Normal, Lane::Realtime];
        let mut held = Vec::new();
        for lane in all {
            held.push(lanes.enter(lane).await.unwrap());
        }
        assert!(lanes.enter(Lane::Realtime).await.is_err());
    }
}
