using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Entities;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class KeyTextTests
{
    [Fact]
    public void Is_what_joining_the_values_gives()
    {
        var character = Gen.Frequency((4, Gen.Int[0, 3].Select(i => "\\,Nn"[i])), (6, Gen.Char.Where(c => !char.IsSurrogate(c))));
        var value = Gen.Frequency((5, character.Array[0, 300].Select(c => (string?)new string(c))), (1, Gen.Const((string?)null)));
        Gen.Select(value.Array[1, 6], Gen.Int)
            .Sample((values, seed) =>
            {
                // Any subset of columns in any order may be the key.
                var random = new Random(seed);
                var key = Enumerable.Range(0, values.Length).OrderBy(_ => random.Next()).Take(random.Next(1, values.Length + 1)).ToArray();
                var keyOfColumn = Enumerable.Repeat(-1, key.Max() + 1).ToArray();
                for (var i = 0; i < key.Length; i++)
                    keyOfColumn[key[i]] = i;

                var tuple = LogWriter.Row(values);
                var places = new ColumnPlace[key.Length];
                TupleData.Locate(tuple, keyOfColumn, places);
                var text = KeyText.Of(tuple, places);

                Assert.Equal(EntityKeyText.Join([.. key.Select(k => values[k])]), text);
                Assert.Equal(key.Select(k => values[k]), EntityKeyText.Split(text));
            });
    }
}
