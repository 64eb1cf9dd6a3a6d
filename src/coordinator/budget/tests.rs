//! What a budget pays for.

use super::*;

#[test]
fn it_pays_what_was_saved_and_earned_and_no_more() {
    let budget = HedgeBudget::new();
    assert_eq!(budget.pay(IN_ADVANCE), Paid::InFull);
    for get in 0..GETS_PER_READ {
        assert_eq!(budget.pay(1), Paid::Nothing, "after {get} gets");
        budget.earn();
    }
    assert_eq!(budget.pay(2), Paid::Nothing, "all or none");
    assert_eq!(budget.pay(1), Paid::InFull);
    assert_eq!(budget.pay(0), Paid::InFull);
    (0..100 * GETS_PER_READ * IN_ADVANCE).for_each(|_| budget.earn());
    assert_eq!(budget.pay(IN_ADVANCE + 1), Paid::Nothing, "saving has an end");
    assert_eq!(budget.pay(IN_ADVANCE), Paid::InFull);
}
