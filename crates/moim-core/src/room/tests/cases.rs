//! Single cases that the property test meets only by luck, and what it does not look at.
//! Not here: the world they play in (`tests`).

use super::*;

#[test]
fn a_thousand_joins_need_two_loads() {
    let mut world = World::new();
    world.publish();
    let mut loads = 0;
    for _ in 0..1000 {
        world.join(Profile::V1, None);
    }
    while !world.loads.is_empty() {
        loads += 1;
        world.read_load();
        world.run(Op::AnswerLoad);
    }
    assert!(loads <= 2, "{loads} loads");
    assert!(world.clients.values().all(|client| client.frames.len() == 2), "joined and history");
}

#[test]
fn a_lost_relay_is_filled_before_what_follows() {
    let mut world = World::new();
    world.join(Profile::V1, None);
    world.run(Op::ReadLoad);
    world.run(Op::AnswerLoad);
    world.publish();
    world.run(Op::RelayLost);
    world.publish();
    world.run(Op::Relay);
    assert_eq!(world.clients[&1].frames.len(), 2, "held behind the hole");
    world.run(Op::ReadLoad);
    world.run(Op::AnswerLoad);
    let told: Vec<_> = world.clients[&1].frames[2..].iter().map(seq).collect();
    assert_eq!(told, [1, 2]);
}

#[test]
fn a_cursor_of_another_log_is_not_recovered() {
    let mut world = World::new();
    for _ in 0..5 {
        world.publish();
    }
    for (epoch, recovered) in [("e0", true), ("wiped", false)] {
        world.join(Profile::V1, Some(Cursor { seq: Seq(3), epoch: Some(Epoch::trusted(epoch)) }));
        world.run(Op::ReadLoad);
        world.run(Op::AnswerLoad);
        let joined = &world.clients[&world.connections].frames[0];
        assert_eq!(joined["recovered"], recovered, "{epoch}");
    }
    world.join(Profile::V1, Some(Cursor { seq: Seq(9), epoch: None }));
    world.run(Op::ReadLoad);
    world.run(Op::AnswerLoad);
    assert_eq!(world.clients[&3].frames[0]["recovered"], false, "ahead of the log");
}

#[test]
fn a_resume_too_far_behind_is_told_so() {
    for (missed, recovered) in [(10, true), (11, false)] {
        let mut world = World::new();
        for _ in 0..missed {
            world.publish();
        }
        world.join(Profile::V1, Some(Cursor { seq: Seq(0), epoch: None }));
        world.run(Op::ReadLoad);
        world.run(Op::AnswerLoad);
        assert_eq!(world.clients[&1].frames[0]["recovered"], recovered, "{missed} missed");
    }
}

#[test]
fn a_loss_that_is_told_is_read_with_a_load_asked_for_after_it() {
    let mut world = World::new();
    world.join(Profile::V1, None);
    world.run(Op::ReadLoad);
    world.publish();
    world.run(Op::Lost);
    world.run(Op::AnswerLoad);
    assert_eq!(world.clients[&1].frames.len(), 2, "that load was read before");
    world.run(Op::ReadLoad);
    world.run(Op::AnswerLoad);
    assert_eq!(world.clients[&1].frames[2..].iter().map(seq).collect::<Vec<_>>(), [1]);
    assert!(world.loads.is_empty(), "one load is enough");
}

/// A log of three whose second message comes late: the third one was numbered without it.
fn second_is_late() -> (World, Arc<Message>) {
    let mut world = World::new();
    for _ in 0..3 {
        world.publish();
    }
    let second = world.log.remove(1);
    Arc::make_mut(&mut world.log[1]).prev = Some(Seq(1));
    (world, second)
}

fn late(message: &Arc<Message>) -> RoomInput<u64> {
    RoomInput::Event(RoomEvent::Late(message.clone()))
}

fn kinds(client: &Client) -> Vec<String> {
    client.frames.iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn who_is_past_a_late_message_is_told_of_the_gap_and_plain_members_nothing() {
    let (mut world, second) = second_is_late();
    world.join(Profile::V1, None);
    world.join(Profile::Plain, None);
    while !world.loads.is_empty() {
        world.run(Op::ReadLoad);
        world.run(Op::AnswerLoad);
    }
    let told_before = world.clients[&1].frames.len();
    world.input(late(&second));
    let gap = &world.clients[&1].frames[told_before];
    assert_eq!((&gap["type"], &gap["epoch"]), (&Value::from("gap"), &Value::from("e0")));
    assert_eq!((&gap["from"], &gap["to"]), (&Value::from(2), &Value::from(2)));
    assert!(!kinds(&world.clients[&2]).contains(&"gap".to_owned()));
    assert!(world.clients[&2].connected);
    assert!(world.loads.is_empty(), "nothing is to be read for it");
}

#[test]
fn who_is_not_past_a_late_message_gets_it_in_order() {
    let mut world = World::new();
    world.join(Profile::V1, None);
    world.run(Op::ReadLoad);
    world.run(Op::AnswerLoad);
    let (_, second) = second_is_late();
    world.publish();
    world.run(Op::Relay);
    world.input(late(&second));
    world.publish();
    let mut third = world.log[1].clone();
    let jumped = Arc::make_mut(&mut third);
    // Over a jump only `prev` says that nothing is missing, and it names the one before the late one.
    (jumped.seq, jumped.prev, jumped.epoch) = (Seq(1000), Some(Seq(1)), Epoch::trusted("e1"));
    world.input(RoomInput::Event(RoomEvent::Message(third)));
    assert_eq!(world.clients[&1].frames[2..].iter().map(seq).collect::<Vec<_>>(), [1, 2, 1000]);
}

#[test]
fn a_load_that_was_read_before_a_late_message_leaves_its_joiners_past_it() {
    for found in [false, true] {
        let (mut world, second) = second_is_late();
        world.join(Profile::V1, Some(Cursor { seq: Seq(1), epoch: None }));
        if found {
            world.log.insert(1, second.clone());
        }
        world.run(Op::ReadLoad);
        world.input(late(&second));
        world.run(Op::AnswerLoad);
        let expected: &[_] =
            if found { &["joined", "message", "message"] } else { &["joined", "message", "gap"] };
        assert_eq!(kinds(&world.clients[&1]), expected, "found: {found}");
    }
}

#[test]
fn each_is_told_once_of_a_late_message_while_a_load_is_on_its_way() {
    let (mut world, second) = second_is_late();
    world.join(Profile::V1, None);
    world.run(Op::ReadLoad);
    world.run(Op::AnswerLoad);
    world.join(Profile::V1, Some(Cursor { seq: Seq(1), epoch: None }));
    world.run(Op::ReadLoad);
    world.input(late(&second));
    world.run(Op::AnswerLoad);
    for client in world.clients.values() {
        assert_eq!(kinds(client).iter().filter(|kind| *kind == "gap").count(), 1, "{:?}", client.frames);
    }
}

#[test]
fn a_late_message_behind_a_hole_comes_with_the_load_or_as_a_gap() {
    for found in [false, true] {
        let mut world = World::new();
        world.join(Profile::V1, None);
        world.run(Op::ReadLoad);
        world.run(Op::AnswerLoad);
        let (after, second) = second_is_late();
        world.log = after.log;
        world.head = after.head;
        if found {
            world.log.insert(1, second.clone());
        }
        world.input(late(&second));
        assert_eq!(world.clients[&1].frames.len(), 2, "1 is missing before it");
        world.run(Op::ReadLoad);
        world.run(Op::AnswerLoad);
        let told: Vec<_> = world.clients[&1].frames[2..].iter().map(|frame| frame["type"].clone()).collect();
        let expected: &[_] = if found { &["message"; 3] } else { &["message", "message", "gap"] };
        assert_eq!(told, expected, "found: {found}");
    }
}

#[test]
fn a_crowd_announces_few_names_and_a_small_room_all() {
    let mut world = World::new();
    for joined in 1..=2 * HERE_NAMES_MAX {
        world.join(Profile::V1, None);
        world.announced = None;
        while !world.loads.is_empty() {
            world.run(Op::ReadLoad);
            world.run(Op::AnswerLoad);
        }
        let here = world.announced.clone().unwrap();
        assert_eq!((here.count, here.names.len()), (joined as u64, joined.min(HERE_NAMES_MAX)));
    }
}
