"""Portbook keeps the ledger of a fleet's network ports. The way of the data:

1. an agent posts a batch                       agent_api/routes.py
2. its key says which node it is                agent_api/door.py → fleet/nodes.py
3. the body is bounded, decoded, reduced        osquery/results.py → detection/recognition.py
4. batch and new sightings are committed        observations/intake.py, then the reply leaves
5. a worker claims what is new                  analysis/worker.py
6. history answers with a handful of counts     analysis/store.py
7. the pure core judges                         detection/judgement.py
8. deviations of weight become findings         findings/
9. operators read them                          findings/api.py, cli.py
"""
