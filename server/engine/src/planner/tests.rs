//! The planner without a device: its rules one by one, and under load with a virtual clock.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const BUDGET: Budget = Budget {
    tokens: 100,
    mixed_depth_tokens: 20,
    interactive_run: 3,
    light_tokens: 30,
};

fn interactive(depth: usize, tokens: usize) -> Candidate {
    let pass = Some(PassKey { model: 1, depth });
    Candidate {
        lane: Lane::Interactive,
        pass,
        tokens,
        deadline: None,
        abandoned: false,
        keeps: None,
    }
}

fn keeping(lane: Lane, bytes: u64) -> Candidate {
    Candidate {
        lane,
        pass: None,
        keeps: Some(bytes),
        ..interactive(0, 1)
    }
}

fn moment(now: Instant, streak: u32) -> Moment {
    let room = Room {
        bytes: 100,
        idle: true,
    };
    Moment {
        now,
        streak,
        bulk: true,
        room,
    }
}

fn bulk(tokens: usize) -> Candidate {
    Candidate {
        lane: Lane::Bulk,
        ..interactive(3, tokens)
    }
}

fn joined(waiting: &[Candidate], streak: u32) -> Vec<usize> {
    let plan = plan(waiting, &BUDGET, moment(Instant::now(), streak));
    (0..waiting.len())
        .filter(|&index| plan.fates[index] == Fate::Join)
        .collect()
}

#[test]
fn nothing_waiting_is_nothing_planned() {
    assert!(
        plan(&[], &BUDGET, moment(Instant::now(), 2))
            .fates
            .is_empty()
    );
}

#[test]
fn a_batch_fills_to_the_budget_and_no_younger_work_overtakes() {
    let waiting = [
        interactive(3, 60),
        interactive(3, 30),
        interactive(3, 11),
        interactive(3, 1),
    ];
    assert_eq!(joined(&waiting, 0), [0, 1]);
}

#[test]
fn a_work_over_the_budget_goes_alone() {
    assert_eq!(joined(&[interactive(3, 500), interactive(3, 1)], 0), [0]);
}

#[test]
fn depths_mix_only_in_small_passes() {
    let shallow_and_deep = [interactive(3, 8), interactive(9, 8), interactive(3, 2)];
    assert_eq!(joined(&shallow_and_deep, 0), [0, 1, 2]);
    assert_eq!(
        joined(
            &[interactive(3, 8), interactive(9, 8), interactive(3, 10)],
            0
        ),
        [0, 2]
    );
}

#[test]
fn models_and_works_that_share_nothing_stay_apart() {
    let mut other = interactive(3, 1);
    other.pass = Some(PassKey { model: 2, depth: 3 });
    let mut alone = interactive(3, 1);
    alone.pass = None;
    assert_eq!(
        joined(&[interactive(3, 1), other, alone, interactive(3, 1)], 0),
        [0, 3]
    );
    assert_eq!(joined(&[alone, interactive(3, 1)], 0), [0]);
}

#[test]
fn bulk_is_never_merged_and_has_its_turn() {
    let waiting = [bulk(10), bulk(10), interactive(3, 1)];
    assert_eq!(joined(&waiting, 0), [2]);
    assert_eq!(joined(&waiting, BUDGET.interactive_run), [0]);
    assert_eq!(joined(&waiting[..2], 0), [0]);
}

#[test]
fn sequences_are_let_in_beside_a_batch_as_far_as_there_is_room() {
    use Lane::{Bulk, Interactive};
    let waiting = [
        keeping(Bulk, 10),
        interactive(3, 1),
        keeping(Interactive, 60),
        keeping(Interactive, 60),
        keeping(Interactive, 1),
    ];
    assert_eq!(joined(&waiting, 0), [1, 2]);
    assert_eq!(joined(&waiting[..3], 0), [0, 1, 2]);
    assert_eq!(joined(&[keeping(Bulk, 1000), keeping(Bulk, 1)], 0), [0]);
    let mut full = moment(Instant::now(), 0);
    full.room = Room {
        bytes: 5,
        idle: false,
    };
    let plan = plan(&waiting, &BUDGET, full);
    assert_eq!(plan.lane, Some(Interactive));
    assert_eq!(plan.fates.iter().filter(|f| **f == Fate::Join).count(), 1);
}

#[test]
fn light_works_go_first_at_a_pause_and_nothing_else_does() {
    let now = Instant::now();
    let mut late = interactive(3, 1);
    late.deadline = Some(now);
    let waiting = [
        bulk(5),
        interactive(3, 31),
        keeping(Lane::Interactive, 1),
        late,
        interactive(3, 20),
        interactive(4, 1),
        interactive(3, 10),
        interactive(3, 1),
    ];
    let fates = plan_light(&waiting, &BUDGET, now);
    let joined: Vec<usize> = (0..waiting.len())
        .filter(|&index| fates[index] == Fate::Join)
        .collect();
    assert_eq!(joined, [4, 6]);
    assert!(
        plan_light(&waiting[..4], &BUDGET, now)
            .iter()
            .all(|f| *f == Fate::Wait)
    );
}

#[test]
fn light_works_do_not_wait_for_heavy_ones() {
    let waiting = [bulk(500), interactive(3, 100), interactive(3, 20)];
    let wait = |tokens| wait(&waiting, &BUDGET, tokens, 0.5);
    assert!((wait(30) - 10.0).abs() < 1e-9 && (wait(31) - 60.0).abs() < 1e-9);
}

/// Ten times as many calls as the device can answer, each with 2 s: what is let in is answered in time, and the device
/// is never without work. The clock is virtual.
#[test]
fn under_ten_times_the_load_the_device_answers_what_it_can() {
    const SECONDS: f64 = 0.001;
    let start = Instant::now();
    let budget = Budget {
        tokens: 128,
        light_tokens: 128,
        ..BUDGET
    };
    let one = interactive(3, 16);
    let mut waiting: Vec<Candidate> = Vec::new();
    let (mut clock, mut arrived, mut in_time, mut wasted) = (0.0, 0.0, 0usize, 0usize);
    while clock < 60.0 {
        while arrived <= clock {
            let deadline = Some(start + Duration::from_secs_f64(arrived + 2.0));
            let wait = wait(&waiting, &budget, one.tokens, SECONDS);
            if wait <= (arrived + 2.0 - clock) / 2.0 {
                waiting.push(Candidate { deadline, ..one });
            }
            arrived += 16.0 * SECONDS / 10.0;
        }
        let now = start + Duration::from_secs_f64(clock);
        let mut moment = moment(now, 0);
        moment.now = now;
        let plan = plan(&waiting, &budget, moment);
        let batch = plan.fates.iter().filter(|f| **f == Fate::Join).count();
        clock += (batch * one.tokens) as f64 * SECONDS;
        let end = start + Duration::from_secs_f64(clock);
        for (candidate, _) in waiting
            .iter()
            .zip(&plan.fates)
            .filter(|(_, f)| **f == Fate::Join)
        {
            let met = candidate.deadline.is_some_and(|deadline| end <= deadline);
            (in_time, wasted) = (in_time + usize::from(met), wasted + usize::from(!met));
        }
        let mut fates = plan.fates.iter();
        waiting.retain(|_| fates.next() == Some(&Fate::Wait));
    }
    let best = 60.0 / (16.0 * SECONDS);
    assert!(in_time as f64 >= 0.8 * best, "{in_time} of {best}");
    assert_eq!(wasted, 0);
}

#[test]
fn bulk_batches_wait_while_it_is_not_their_turn() {
    let mut moment = moment(Instant::now(), BUDGET.interactive_run);
    moment.bulk = false;
    assert_eq!(plan(&[bulk(1)], &BUDGET, moment).lane, None);
    let both = plan(&[bulk(1), interactive(3, 1)], &BUDGET, moment);
    assert_eq!(
        (both.lane, both.fates[1]),
        (Some(Lane::Interactive), Fate::Join)
    );
}

/// Candidates whose deadline, in seconds, is before or after the planning time of one minute.
fn candidates(start: Instant) -> impl Strategy<Value = Vec<Candidate>> {
    let one = (
        0..2u8,
        proptest::option::weighted(0.9, (0..3u64, 0..4usize)),
        1..140usize,
        0..120u64,
        0..10u8,
    );
    let one = one.prop_map(move |(lane, pass, tokens, deadline, odd)| Candidate {
        lane: if lane == 0 {
            Lane::Interactive
        } else {
            Lane::Bulk
        },
        pass: pass.map(|(model, depth)| PassKey { model, depth }),
        tokens,
        deadline: (odd < 3).then(|| start + Duration::from_secs(deadline)),
        abandoned: odd == 9,
        keeps: None,
    });
    proptest::collection::vec(one, 0..40)
}

/// What must hold of any single plan.
fn check(waiting: &[Candidate], plan: &Plan, now: Instant) {
    assert_eq!(plan.fates.len(), waiting.len());
    let of = |fate| {
        waiting
            .iter()
            .zip(&plan.fates)
            .filter(move |(_, f)| **f == fate)
            .map(|(c, _)| c)
    };
    for (candidate, fate) in waiting.iter().zip(&plan.fates) {
        let expired = candidate.deadline.is_some_and(|deadline| deadline <= now);
        assert_eq!(*fate == Fate::Abandoned, candidate.abandoned);
        assert_eq!(*fate == Fate::Expired, expired && !candidate.abandoned);
    }
    let batch: Vec<&Candidate> = of(Fate::Join).collect();
    let Some(head) = batch.first() else {
        assert_eq!(of(Fate::Wait).count(), 0, "work waits and the device idles");
        return;
    };
    let tokens: usize = batch.iter().map(|candidate| candidate.tokens).sum();
    assert!(batch.len() == 1 || tokens <= BUDGET.tokens);
    if batch.len() > 1 {
        assert!(
            batch
                .iter()
                .all(|c| c.lane == Lane::Interactive && c.pass.is_some())
        );
        let model = |c: &Candidate| c.pass.map(|pass| pass.model);
        assert!(batch.iter().all(|c| model(c) == model(head)));
        assert!(batch.iter().all(|c| c.pass == head.pass) || tokens <= BUDGET.mixed_depth_tokens);
    }
    let mut behind: Vec<(Lane, Option<PassKey>)> = Vec::new();
    for (candidate, fate) in waiting.iter().zip(&plan.fates) {
        let place = (candidate.lane, candidate.pass);
        if *fate == Fate::Wait {
            behind.push(place);
        }
        assert!(
            *fate != Fate::Join || !behind.contains(&place),
            "overtaken within lane and group"
        );
    }
}

proptest! {
    #[test]
    fn any_plan_keeps_the_rules((start, waiting) in Just(Instant::now()).prop_flat_map(|s| (Just(s), candidates(s))),
                                streak in 0..6u32) {
        let now = start + Duration::from_mins(1);
        check(&waiting, &plan(&waiting, &BUDGET, moment(now, streak)), now);
    }

    /// Works arrive a few at a time; every one ends exactly once, and none waits for ever.
    #[test]
    fn every_work_ends_once((start, arriving) in Just(Instant::now()).prop_flat_map(|s| (Just(s), candidates(s))),
                            each in 1..6usize) {
        let mut ended = vec![0; arriving.len()];
        let mut waiting: Vec<usize> = Vec::new();
        let (mut next, mut streak, mut bulk_passed_over, mut step) = (0, 0, 0, 0);
        while next < arriving.len() || !waiting.is_empty() {
            let until = (next + each).min(arriving.len());
            waiting.extend(next..until);
            next = until;
            let candidates: Vec<Candidate> = waiting.iter().map(|&index| arriving[index]).collect();
            let now = start + Duration::from_secs(step);
            let plan = plan(&candidates, &BUDGET, moment(now, streak));
            check(&candidates, &plan, now);
            streak = plan.streak;
            let ran = |lane| candidates.iter().zip(&plan.fates).any(|(c, f)| *f == Fate::Join && c.lane == lane);
            let bulk_waits = candidates.iter().zip(&plan.fates).any(|(c, f)| *f == Fate::Wait && c.lane == Lane::Bulk);
            bulk_passed_over = if bulk_waits && !ran(Lane::Bulk) { bulk_passed_over + 1 } else { 0 };
            prop_assert!(bulk_passed_over <= BUDGET.interactive_run);
            let mut fates = plan.fates.iter();
            waiting.retain(|&index| {
                let stays = fates.next() == Some(&Fate::Wait);
                ended[index] += usize::from(!stays);
                stays
            });
            step += 1;
            prop_assert!(step as usize <= 2 * arriving.len() + 1);
        }
        prop_assert!(ended.iter().all(|&times| times == 1));
    }
}
