//! One conformance suite over both databases: every function of the modules below takes an empty
//! migrated database and runs once on SQLite and once on Postgres. `faults` holds what differs or
//! needs a server of its own.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod articles;
mod customers;
mod events;
mod faults;
mod import;
mod killed;
mod models;
mod placements;
mod read;
mod refused;
mod sales;

macro_rules! on_both_databases {
    ($($module:ident: $($test:ident)+;)+) => {
        mod sqlite {
            $(mod $module { $(
                #[tokio::test]
                async fn $test() {
                    crate::$module::$test(&crate::support::Database::sqlite().await).await;
                }
            )+ })+
        }
        mod postgres {
            $(mod $module { $(
                #[tokio::test]
                async fn $test() {
                    crate::$module::$test(&crate::support::Database::postgres().await).await;
                }
            )+ })+
        }
    };
}

on_both_databases! {
    access:
        keys_are_made_listed_and_withdrawn a_name_in_use_is_refused_and_a_withdrawn_one_is_free
        a_change_is_recorded_with_its_outcome a_change_that_cannot_be_recorded_is_not_made;
    articles:
        every_column_comes_back put_replaces_and_counts_only_changes unknown_ids_are_told
        availability_changes_only_what_differs unusual_values_come_back a_bad_article_stores_none
        of_two_with_one_id_the_last_counts twenty_thousand_at_once writers_at_once_lose_nothing
        one_article_changes_no_attribute_for_the_others limits_are_checked_before_the_write declared_kinds_are_kept
        changes_are_told_since_a_version a_deleted_article_is_gone_until_it_is_put_again
        what_cannot_be_read_is_left_out a_migration_learns_kinds_from_most_articles;
    customers:
        an_unknown_customer_is_none several_are_read_at_once a_broken_row_spoils_its_customer_alone
        all_ids_come_page_by_page;
    events:
        an_event_is_written_once events_read_back_behind_a_revision an_order_counts_once_whoever_tells_it
        two_pieces_are_a_quantity_or_two_lines a_return_takes_a_purchase_back
        told_and_imported_purchases_make_one_history an_article_counts_when_the_catalogue_gets_it
        a_visitor_who_logs_in_brings_the_visit_along nobody_fills_a_counter_alone
        what_was_told_in_this_second_is_not_yet_to_come an_erased_person_is_gone_for_good
        everything_of_a_customer_is_exported customers_are_told old_events_are_dropped_by_retention
        writers_of_events_at_once_lose_nothing a_secret_is_the_same_for_all
        recommendations_are_credited_with_what_came_of_them;
    import:
        a_told_purchase_that_the_files_hold_counts_once an_erased_customer_is_not_imported_again
        everything_arrives purchases_come_newest_first_up_to_the_limit a_customer_without_purchases_is_known
        a_second_run_changes_nothing other_data_replaces_purchases_and_keeps_decisions
        readers_see_all_or_nothing_of_an_import an_interrupted_import_goes_on of_two_imports_one_stops
        empty_data_is_imported values_a_database_cannot_hold_are_refused
        weights_and_milliseconds_are_stored availability_is_taken_from_files_that_tell_it
        articles_that_an_import_lacks_are_unavailable_until_it_has_them what_becomes_of_missing_articles_is_an_option
        columns_decide_kinds_but_for_declared_ones whole_numbers_arrive_exactly;
    read:
        a_database_gives_what_was_imported an_exported_database_is_imported_equal
        told_purchases_are_read_beside_imported_ones what_is_sold_out_or_deleted_is_told an_empty_shop_is_read;
    refused: an_import_beyond_the_limit_of_rejects_changes_nothing;
    models:
        versions_are_listed_newest_first activation_answers_what_it_replaces rollback_walks_back_one_at_a_time
        errors_name_the_model one_is_active_whoever_races a_watcher_sees_changes
        the_first_model_is_the_default_until_another_is_made_it a_deactivated_model_has_no_past;
    placements:
        every_version_stays what_is_so_already_makes_no_version a_deleted_placement_is_gone_but_its_versions_stay
        rollbacks_of_placements_walk_back_one_at_a_time nobodys_change_of_a_placement_gets_lost
        several_placements_change_together_or_not_at_all writers_of_one_placement_stand_in_line;
    sales:
        purchases_count_less_with_age purchases_count_by_their_weight a_date_in_the_future_makes_nothing_old
        the_first_purchases_after_an_old_import_make_nothing_old
        an_import_is_told_by_the_revision_of_purchases purchases_are_read_with_running_numbers;
}
