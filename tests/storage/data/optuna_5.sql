BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'one');
INSERT INTO "studies" VALUES(2,'two');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MINIMIZE',2,0);
INSERT INTO "study_directions" VALUES(3,'MAXIMIZE',2,1);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["accuracy"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'owner','{"name": "caf\u00e9", "nan": NaN}');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_heartbeats" VALUES(1,8,'2026-01-31 06:31:00');
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,5,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(2,1,1,NULL,'INF_NEG');
INSERT INTO "trial_intermediate_values" VALUES(3,1,3,2.5,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,1,0,NULL,'INF_POS');
INSERT INTO "trial_intermediate_values" VALUES(5,4,1,2.5,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'float',3.00000000000000044408e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -2.5, "high": 7.0, "log": false}}');
INSERT INTO "trial_params" VALUES(2,1,'log',1.0e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 1000.0, "log": true}}');
INSERT INTO "trial_params" VALUES(3,1,'step',0.3,'{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(4,1,'int',-3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": -3, "high": 3}}');
INSERT INTO "trial_params" VALUES(5,1,'int step',8.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 4, "low": 0, "high": 8}}');
INSERT INTO "trial_params" VALUES(6,1,'int log',64.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 100}}');
INSERT INTO "trial_params" VALUES(7,1,'choice',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null, true, 1.5, "\u00e9\u4e16\ud83d\ude00", 3]}}');
INSERT INTO "trial_params" VALUES(8,2,'float',3.00000000000000044408e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -2.5, "high": 7.0, "log": false}}');
INSERT INTO "trial_params" VALUES(9,2,'log',1.0e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 1000.0, "log": true}}');
INSERT INTO "trial_params" VALUES(10,2,'step',0.3,'{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(11,2,'int',-3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": -3, "high": 3}}');
INSERT INTO "trial_params" VALUES(12,2,'int step',8.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 4, "low": 0, "high": 8}}');
INSERT INTO "trial_params" VALUES(13,2,'int log',64.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 100}}');
INSERT INTO "trial_params" VALUES(14,2,'choice',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null, true, 1.5, "\u00e9\u4e16\ud83d\ude00", 3]}}');
INSERT INTO "trial_params" VALUES(15,3,'float',7.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -2.5, "high": 7.0, "log": false}}');
INSERT INTO "trial_params" VALUES(16,4,'float',3.00000000000000044408e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -2.5, "high": 7.0, "log": false}}');
INSERT INTO "trial_params" VALUES(17,4,'log',1.0e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 1000.0, "log": true}}');
INSERT INTO "trial_params" VALUES(18,4,'step',0.3,'{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(19,4,'int',-3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": -3, "high": 3}}');
INSERT INTO "trial_params" VALUES(20,4,'int step',8.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 4, "low": 0, "high": 8}}');
INSERT INTO "trial_params" VALUES(21,4,'int log',64.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 100}}');
INSERT INTO "trial_params" VALUES(22,4,'choice',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null, true, 1.5, "\u00e9\u4e16\ud83d\ude00", 3]}}');
INSERT INTO "trial_params" VALUES(23,5,'float',3.00000000000000044408e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -2.5, "high": 7.0, "log": false}}');
INSERT INTO "trial_params" VALUES(24,5,'log',1.0e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 1000.0, "log": true}}');
INSERT INTO "trial_params" VALUES(25,5,'step',0.3,'{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(26,5,'int',-3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": -3, "high": 3}}');
INSERT INTO "trial_params" VALUES(27,5,'int step',8.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 4, "low": 0, "high": 8}}');
INSERT INTO "trial_params" VALUES(28,5,'int log',64.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 100}}');
INSERT INTO "trial_params" VALUES(29,5,'choice',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null, true, 1.5, "\u00e9\u4e16\ud83d\ude00", 3]}}');
INSERT INTO "trial_params" VALUES(30,7,'float',3.00000000000000044408e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -2.5, "high": 7.0, "log": false}}');
INSERT INTO "trial_params" VALUES(31,7,'log',1.0e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 1000.0, "log": true}}');
INSERT INTO "trial_params" VALUES(32,7,'step',0.3,'{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(33,7,'int',-3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": -3, "high": 3}}');
INSERT INTO "trial_params" VALUES(34,7,'int step',8.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 4, "low": 0, "high": 8}}');
INSERT INTO "trial_params" VALUES(35,7,'int log',64.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 100}}');
INSERT INTO "trial_params" VALUES(36,7,'choice',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null, true, 1.5, "\u00e9\u4e16\ud83d\ude00", 3]}}');
INSERT INTO "trial_params" VALUES(37,8,'float',3.00000000000000044408e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -2.5, "high": 7.0, "log": false}}');
INSERT INTO "trial_params" VALUES(38,8,'log',1.0e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 1000.0, "log": true}}');
INSERT INTO "trial_params" VALUES(39,8,'step',0.3,'{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(40,8,'int',-3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": -3, "high": 3}}');
INSERT INTO "trial_params" VALUES(41,8,'int step',8.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 4, "low": 0, "high": 8}}');
INSERT INTO "trial_params" VALUES(42,8,'int log',64.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 100}}');
INSERT INTO "trial_params" VALUES(43,8,'choice',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null, true, 1.5, "\u00e9\u4e16\ud83d\ude00", 3]}}');
INSERT INTO "trial_params" VALUES(44,10,'int',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": -3, "high": 3}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'constraints:0','-1.0');
INSERT INTO "trial_system_attributes" VALUES(2,1,'constraints:1','0.5');
INSERT INTO "trial_system_attributes" VALUES(3,7,'failed_trial','5');
INSERT INTO "trial_system_attributes" VALUES(4,7,'retry_history','[5]');
INSERT INTO "trial_system_attributes" VALUES(5,9,'fixed_params','{"float": 0.25, "choice": null}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'kéy','[1, null, 2.5]');
INSERT INTO "trial_user_attributes" VALUES(2,9,'queued','true');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.5,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,NULL,'INF_POS');
INSERT INTO "trial_values" VALUES(3,3,0,NULL,'INF_NEG');
INSERT INTO "trial_values" VALUES(4,4,0,2.5,'FINITE');
INSERT INTO "trial_values" VALUES(5,10,0,1.0,'FINITE');
INSERT INTO "trial_values" VALUES(6,10,1,NULL,'INF_NEG');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-01-31 06:30:00.123456','2026-01-31 06:30:01.623456');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-01-31 06:30:00.123456','2026-01-31 06:30:01.623456');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-01-31 06:30:00.123456','2026-01-31 06:30:02.123456');
INSERT INTO "trials" VALUES(4,3,1,'PRUNED','2026-01-31 06:30:00.123456','2026-01-31 06:30:01.623456');
INSERT INTO "trials" VALUES(5,4,1,'PRUNED','2026-01-31 06:30:00.123456','2026-01-31 06:30:01.623456');
INSERT INTO "trials" VALUES(6,5,1,'FAIL','2026-01-31 06:30:00.123456','2026-01-31 06:30:01.623456');
INSERT INTO "trials" VALUES(7,6,1,'FAIL','2026-01-31 06:30:00.123456','2026-01-31 06:30:01.623456');
INSERT INTO "trials" VALUES(8,7,1,'RUNNING','2026-01-31 06:30:00.123456',NULL);
INSERT INTO "trials" VALUES(9,8,1,'WAITING',NULL,NULL);
INSERT INTO "trials" VALUES(10,0,2,'COMPLETE','2026-01-31 06:30:00.123456','2026-01-31 06:30:01.623456');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
