-- One row for each example that a scorer showed, and what came of it: every metric of a score can be computed from them. Which
-- columns are set depends on the scorer. Written and deleted with the score. `failure` is an error reason where the example
-- could not be scored, and `failure_detail` says what exactly; such rows count as neither right nor wrong.
create table score_example (
    score_id text collate "C" not null references score (id) on delete cascade,
    ord integer not null,
    example text collate "C",
    quantile integer,
    distance double precision,
    label boolean,
    prediction boolean,
    probability double precision,
    value double precision,
    choice integer,
    chosen integer,
    truth real[] not null,
    predicted real[] not null,
    marked integer[] not null,
    failure text collate "C",
    failure_detail text not null default '',
    exchange text collate "C",
    primary key (score_id, ord)
);
