// The options of Swagger UI are in contract/docs.py.
SwaggerUIBundle({ dom_id: "#swagger-ui", configUrl: "swagger-ui-config.json" });
