//! What must hold of each action, as it is taken.

use super::{super::*, checks::Check, ensure, model::*};

impl Model {
    /// Takes an action, if it is allowed.
    pub(super) fn take(&mut self, action: &Action) -> Check {
        match action {
            Action::Deliver {
                lane,
                delivery,
                record,
                attempt,
            } => self.take_deliver(*lane, *delivery, record, *attempt),
            Action::Answered {
                topic,
                outcome,
                took,
            } => self.take_answered(topic, outcome, *took),
            Action::Commit { at, offset } => self.take_commit(at, *offset),
            Action::CommitAbove { at } => self.take_commit_above(at),
            Action::Retry {
                record,
                failed,
                delay,
                standing,
                ..
            } => self.take_retry(record, *failed, *delay, *standing),
            Action::DeadLetter { letter, content } => self.take_letter(*letter, content),
            Action::LetterDelayed {
                content,
                failed,
                delay,
                ..
            } => self.take_delayed(content, *failed, *delay),
            Action::BreakerOpened { topic } => self.take_breaker(topic, true),
            Action::BreakerClosed { topic } => self.take_breaker(topic, false),
            Action::AppGone { .. } => self.take_app(false),
            Action::AppBack => self.take_app(true),
            Action::SuspectAcks { records } => {
                ensure!(!records.is_empty(), "no ack is doubted");
                records
                    .iter()
                    .try_for_each(|record| self.take_doubted(record))
            }
            Action::OneSerialLane { topic } => self.take_serial(topic),
            Action::Pause { at, held_by } => self.take_gate(at, false, held_by.as_ref()),
            Action::Read { at } => self.take_gate(at, true, None),
        }
    }

    fn take_deliver(
        &mut self,
        lane_id: LaneId,
        delivery: DeliveryId,
        record: &Arc<Record>,
        attempt: u32,
    ) -> Check {
        let at = &record.at;
        ensure!(delivery > self.last_delivery, "a delivery's id came twice");
        ensure!(!self.paused, "delivered while daprd has paused us");
        let in_flight = self.in_flight(Some(&at.topic));
        let breaker = self.subscriptions.get(&at.topic).map(|s| &s.breaker);
        let allowed = breaker.map_or(0, |breaker| breaker.allows(in_flight, self.now));
        ensure!(allowed > 0, "delivered against the open breaker");
        ensure!(self.app_may_be_tried(), "delivered, and the app is gone");
        let lane = self.lanes.get(&lane_id).ok_or("delivered to no lane")?;
        ensure!(lane.topic == at.topic, "delivered to another topic's lane");
        ensure!(!self.is_held(lane), "I10: delivered to a lane that is held");
        let (has, depth) = (lane.has.len(), self.depth(lane));
        ensure!(has < depth, "I4: a lane has {has} of {depth} and got more");
        let owned = self.owned.get(at).ok_or("I9: delivered, and not ours")?;
        ensure!(!owned.draining, "delivered, and draining");
        let epoch = owned.epoch;
        let handed = Handed {
            lane: lane_id,
            at: at.clone(),
            epoch,
            offset: record.offset,
            when: self.now,
            isolated: false,
        };
        let head = owned.heads().into_iter().find(|head| {
            let found = owned.slots.get(&record.offset).and_then(Option::as_ref);
            found.is_some_and(|found| found.sequence == head.sequence)
        });
        let head = head.ok_or("delivered, and finished or never received")?;
        ensure!(
            Arc::ptr_eq(&head.record, record),
            "I3: delivered before {}, which is not finished",
            head.record.offset
        );
        let State::Waiting { from } = head.state else {
            return Err(format!("I3: delivered, and {:?}", head.state));
        };
        let is_alone = self.handed.values().all(|handed| handed.isolated);
        ensure!(
            !head.is_suspected() || is_alone || head.untestable || self.absence.is_some(),
            "a suspected record is delivered beside others"
        );
        let isolated = head.is_suspected();
        let is_busy = owned.is_busy(head.sequence);
        ensure!(!is_busy, "I3: delivered, and a later one is under way");
        ensure!(from <= self.now, "delivered before its delay was over");
        ensure!(
            attempt == head.failed + 1,
            "I10: attempt {attempt} after {} that failed",
            head.failed
        );
        let handed = Handed { isolated, ..handed };
        self.hand(handed, delivery);
        Ok(())
    }

    fn hand(&mut self, handed: Handed, delivery: DeliveryId) {
        self.last_delivery = delivery;
        if let Some(lane) = self.lanes.get_mut(&handed.lane) {
            lane.has.insert(delivery);
        }
        if let Some(unfinished) = self.unfinished(&handed) {
            unfinished.state = State::WithLane;
            unfinished.untestable = false;
        }
        self.handed.insert(delivery, handed);
    }

    fn take_commit(&mut self, at: &TopicPartition, offset: Offset) -> Check {
        let owned = self.owned.get_mut(at).ok_or("I9: commits, and not ours")?;
        let committed = owned.committed;
        ensure!(offset > committed, "commits {offset} after {committed}");
        ensure!(offset <= owned.next, "commits what was not received");
        let mut behind = owned.slots.extract_if(..offset, |_, _| true);
        let unfinished = behind.find_map(|(_, slot)| slot);
        if let Some(Unfinished { record, state, .. }) = unfinished {
            let number = if state == State::Letter { 7 } else { 2 };
            let held = record.offset;
            return Err(format!(
                "I{number}: commits {offset}, and {held} is {state:?}"
            ));
        }
        owned.committed = offset;
        Ok(())
    }

    fn take_retry(
        &mut self,
        record: &Arc<Record>,
        failed: u32,
        delay: Duration,
        standing: Standing,
    ) -> Check {
        let now = self.now;
        let wanted = self.expected.refusal.take();
        let Some((
            at,
            offset,
            Refusal::Retry {
                standing: wanted,
                delay: (least, most),
                at_once,
            },
        )) = &wanted
        else {
            return Err(format!("a retry, and expected was {wanted:?}"));
        };
        ensure!(*at == record.at && *offset == record.offset, "of another");
        ensure!(standing == *wanted, "it is {standing:?}, not {wanted:?}");
        ensure!(
            (*least..=*most).contains(&delay),
            "waits {delay:?}, not {least:?} to {most:?}"
        );
        let owned = self.owned.get_mut(at).ok_or("I9: retried, and not ours")?;
        let is_head = owned.is_head(*offset);
        let slot = owned.slots.get_mut(offset).and_then(Option::as_mut);
        let unfinished = slot.ok_or("retried, and finished")?;
        ensure!(
            failed == unfinished.failed,
            "told a wrong number of attempts"
        );
        // Behind what was put back, it waits for that.
        let at_once = *at_once || !is_head;
        let from = if at_once { now } else { now + delay };
        unfinished.state = State::Waiting { from };
        Ok(())
    }

    fn take_commit_above(&self, at: &TopicPartition) -> Check {
        let owned = self.owned.get(at).ok_or("I9: committed, and not ours")?;
        let mut slots = owned.slots.values();
        ensure!(slots.any(Option::is_none), "nothing above is finished");
        Ok(())
    }

    fn take_letter(&mut self, letter: LetterId, content: &Arc<Letter>) -> Check {
        let now = self.now;
        if let Some(pending) = self.letters.get_mut(&letter) {
            let due = pending.again.take();
            ensure!(due.is_some_and(|due| due <= now), "sent again, due {due:?}");
            ensure!(Arc::ptr_eq(&pending.content, content), "changed");
            return Ok(());
        }
        ensure!(
            letter > self.last_letter,
            "sent again, and was revoked or confirmed"
        );
        let wanted = self.expected.refusal.take();
        let Some((at, offset, Refusal::Letter(failure))) = &wanted else {
            return Err(format!("a dead letter, and expected was {wanted:?}"));
        };
        let topic = self.policy(&at.topic).dead_letter.clone();
        let owned = self.owned.get_mut(at).ok_or("I9: a letter, and not ours")?;
        let slot = owned.slots.get_mut(offset).and_then(Option::as_mut);
        let unfinished = slot.ok_or("a letter, and finished")?;
        let right = Letter {
            record: unfinished.record.clone(),
            topic: topic.ok_or("a letter, and no topic for it")?,
            failure: *failure,
            deliveries: unfinished.failed,
            first_failure: unfinished.first.unwrap_or(now),
            last_failure: now,
            reason: content.reason.clone(),
        };
        ensure!(**content == right, "the letter is not {right:?}");
        unfinished.state = State::Letter;
        self.last_letter = letter;
        let pending = Pending {
            at: at.clone(),
            content: content.clone(),
            failed: 0,
            again: None,
        };
        self.letters.insert(letter, pending);
        Ok(())
    }

    fn take_delayed(&mut self, content: &Arc<Letter>, failed: u32, delay: Duration) -> Check {
        let letter = self.expected.delayed.take().ok_or("no letter failed")?;
        let pending = self.letters.get_mut(&letter).ok_or("I9: not ours")?;
        let (first, longest) = self.limits.letter_delay;
        pending.failed += 1;
        let right = (first * 2_u32.pow(pending.failed - 1)).min(longest);
        ensure!(Arc::ptr_eq(&pending.content, content), "another letter");
        ensure!(failed == pending.failed, "told a wrong number of attempts");
        ensure!(delay == right, "waits {delay:?}, not {right:?}");
        pending.again = Some(self.now + delay);
        Ok(())
    }

    fn take_answered(&mut self, topic: &Arc<str>, outcome: &Outcome, took: Duration) -> Check {
        let wanted = self.expected.answered.take();
        let (wanted, answer, when) = wanted.ok_or("nothing was answered")?;
        ensure!(wanted == *topic && answer == *outcome, "another answer");
        ensure!(when + took == self.now, "it took another time");
        Ok(())
    }

    fn take_breaker(&mut self, topic: &Arc<str>, opens: bool) -> Check {
        let wanted = self.expected.breaker.take();
        ensure!(
            wanted == Some((topic.clone(), opens)),
            "the breaker opens or closes, and expected was {wanted:?}"
        );
        Ok(())
    }

    fn take_serial(&mut self, topic: &Arc<str>) -> Check {
        let mut lanes = self.lanes.values().filter(|lane| lane.topic == *topic);
        let only = lanes.next().filter(|lane| !lane.concurrent);
        ensure!(
            only.is_some() && lanes.next().is_none(),
            "not one serial lane"
        );
        let waits = self.waiting(topic, |head| !head.is_suspected() || head.untestable);
        ensure!(!waits.is_empty(), "nothing waits for it");
        ensure!(self.absence.is_none(), "it waits for the app");
        let subscription = self.subscriptions.get_mut(topic).ok_or("no such topic")?;
        ensure!(!subscription.told_serial, "told twice");
        subscription.told_serial = true;
        Ok(())
    }

    fn take_gate(
        &mut self,
        at: &TopicPartition,
        read: bool,
        held_by: Option<&Arc<Record>>,
    ) -> Check {
        let most = self.limits.max_uncommitted;
        let owned = self.owned.get_mut(at).ok_or("I9: gated, and not ours")?;
        ensure!(owned.reading != read, "told what is so already");
        owned.reading = read;
        let oldest = owned.slots.values().flatten().next();
        let oldest = oldest.filter(|oldest| !oldest.is_acked());
        let oldest = oldest.map(|oldest| &oldest.record);
        let holder = oldest.filter(|_| !read && owned.unconfirmed.len() >= most);
        ensure!(
            holder.map(|record| record.offset) == held_by.map(|record| record.offset),
            "I5: held by {held_by:?}, not {holder:?}"
        );
        Ok(())
    }
}
