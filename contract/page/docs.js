// How it looks and behaves is in SWAGGER_UI of app.py.
SwaggerUIBundle({ dom_id: "#swagger-ui", configUrl: "swagger-ui-config.json" });
