using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;

namespace CdcOrleans.Gateway.Api;

/// <summary>How the API's types are written: generated ahead of time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(PipelineStatus))]
[JsonSerializable(typeof(SourceList))]
[JsonSerializable(typeof(SourceDetail))]
[JsonSerializable(typeof(Entity))]
[JsonSerializable(typeof(EntityHistory))]
[JsonSerializable(typeof(JournalList))]
[JsonSerializable(typeof(DeadLetterList))]
[JsonSerializable(typeof(DeadLetterDetail))]
[JsonSerializable(typeof(DeadLetterGroups))]
[JsonSerializable(typeof(RedeliverRequest))]
[JsonSerializable(typeof(DiscardRequest))]
[JsonSerializable(typeof(DecisionAnswer))]
[JsonSerializable(typeof(ParkedList))]
[JsonSerializable(typeof(RetryRequest))]
[JsonSerializable(typeof(RetryAnswer))]
[JsonSerializable(typeof(AuditList))]
[JsonSerializable(typeof(ReplayList))]
[JsonSerializable(typeof(ReplayItem))]
[JsonSerializable(typeof(ReplayRequest))]
[JsonSerializable(typeof(BackfillList))]
[JsonSerializable(typeof(BackfillItem))]
[JsonSerializable(typeof(BackfillRequest))]
[JsonSerializable(typeof(SinkList))]
[JsonSerializable(typeof(SinkDetail))]
[JsonSerializable(typeof(PauseAnswer))]
[JsonSerializable(typeof(TestAnswer))]
[JsonSerializable(typeof(Liveness))]
[JsonSerializable(typeof(Readiness))]
[JsonSerializable(typeof(ProblemDetails))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(SourceReadiness[]))]
internal sealed partial class GatewayJson : JsonSerializerContext;
