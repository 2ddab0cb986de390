-- What people ask for in SQL, with states as words. Views hold no rows of their own.

-- A row for each score, beside the explanation that was scored and, where the cache has statistics, how often the latent fires.
create view latent_score as
select s.sae, s.latent, s.scorer, s.value, s.ci_low, s.ci_high, s.n, s.n_failed, s.metrics,
    s.true_positives, s.false_positives, s.true_negatives, s.false_negatives, s.firing_tokens,
    t.density, e.text as explanation, e.explainer, e.provider as explainer_provider, s.provider as scorer_provider,
    s.provider_model, c.cache_id, s.job_id, s.explanation_id, s.id as score_id, s.create_time
from score s
join job j on j.id = s.job_id
left join explanation e on e.id = s.explanation_id
cross join lateral (select regexp_replace(coalesce(j.spec->>'cache', ''), '^caches/', '') as cache_id) c
left join latent_stat t on t.cache_id = c.cache_id and t.sae = s.sae and t.latent = s.latent;

-- A row for each job: what it did, what it cost and how long it took.
create view job_cost as
select j.id as job_id, j.kind, j.state, j.create_time, j.start_time, j.end_time,
    extract(epoch from coalesce(j.end_time, now()) - j.start_time)::double precision as seconds,
    coalesce(c.calls, 0) as calls, coalesce(c.failed_calls, 0) as failed_calls, coalesce(c.reused, 0) as reused,
    coalesce(c.prompt_tokens, 0) as prompt_tokens, coalesce(c.completion_tokens, 0) as completion_tokens,
    coalesce(c.micros, 0) / 1e6::double precision as dollars,
    coalesce(c.done, 0) as items_done, coalesce(c.failed, 0) as items_failed, coalesce(c.skipped, 0) as items_skipped
from job j
left join (
    select job_id, sum(calls)::bigint as calls, sum(failed_calls)::bigint as failed_calls, sum(reused)::bigint as reused,
        sum(prompt_tokens)::bigint as prompt_tokens, sum(completion_tokens)::bigint as completion_tokens,
        sum(micros)::bigint as micros, sum(done)::bigint as done, sum(failed)::bigint as failed,
        sum(skipped)::bigint as skipped
    from job_count group by job_id) c on c.job_id = j.id;

-- A row for each work item of an auto-interpretation job: its latent, its stage (0 finds the explanation, the others are the scorers
-- in their order) and what became of it.
create view job_item as
select w.job_id, w.ord,
    case when j.spec->'latents' ? 'range'
        then (j.spec->'latents'->'range'->>0)::integer + w.ord / i.stages
        else (j.spec->'latents'->'list'->>(w.ord / i.stages))::integer end as latent,
    w.ord % i.stages as stage,
    case when w.ord % i.stages = 0 then j.spec->'explainer'->>'kind'
        else j.spec->'scorers'->(w.ord % i.stages - 1)->>'kind' end as work,
    case w.state when 0 then 'waiting' when 1 then 'at work' when 2 then 'done' when 3 then 'failed' when 4 then 'blocked'
        when 5 then 'skipped' end as state,
    w.reason, w.error as detail, w.attempt as attempts, w.run_after, w.lease_until
from work_item w
join interp_job i on i.job_id = w.job_id
join job j on j.id = w.job_id;

-- A row for each call of a language model.
create view provider_call as
select hash, provider, model, job_id,
    case state when 0 then 'under way' when 1 then 'answered' when 2 then 'failed' end as state,
    sends, prompt_tokens, completion_tokens, micros / 1e6::double precision as dollars, request, reply, error, create_time,
    answer_time, extract(epoch from answer_time - create_time)::double precision as seconds
from llm_exchange;
