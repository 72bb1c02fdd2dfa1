using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;

namespace CdcOrleans.Gateway.Api;

/// <summary>How the API's types are written: generated ahead of time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(PipelineStatus))]
[JsonSerializable(typeof(SourceList))]
[JsonSerializable(typeof(SourceDetail))]
[JsonSerializable(typeof(Entity))]
[JsonSerializable(typeof(Liveness))]
[JsonSerializable(typeof(Readiness))]
[JsonSerializable(typeof(ProblemDetails))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(SourceReadiness[]))]
internal sealed partial class GatewayJson : JsonSerializerContext;
